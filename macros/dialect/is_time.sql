{#- Whether a field holds a time of the events' form, a real one, from 1970 on. -#}
{% macro is_time(field) %}
    {{- adapter.dispatch('is_time')(field) -}}
{% endmacro %}

{#- The cast alone would take the 24th hour and the 60th second. -#}
{% macro postgres__is_time(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string'
    and translate(document->>'{{ field }}', '123456789', '000000000')
        = '0000-00-00T00:00:00.000Z'
    and document->>'{{ field }}' not like '___________24%'
    and document->>'{{ field }}' not like '_________________6%'
    and pg_input_is_valid(document->>'{{ field }}', 'timestamptz')
    and document->>'{{ field }}' >= '1970' collate "C"
{%- endmacro %}

{% macro materialize__is_time(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string'
    and document->>'{{ field }}' ~ '{{ time_pattern() }}'
    and try_parse_monotonic_iso8601_timestamp(document->>'{{ field }}') is not null
    and document->>'{{ field }}' >= '1970'
{%- endmacro %}

{% macro risingwave__is_time(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string'
    and document->>'{{ field }}' ~ '{{ time_pattern() }}'
    and to_char((document->>'{{ field }}')::timestamptz, 'YYYY-MM-DDTHH24:MI:SS.MSZ')
        = document->>'{{ field }}'
    and document->>'{{ field }}' >= '1970'
{%- endmacro %}

{% macro time_pattern() -%}
    ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$
{%- endmacro %}
