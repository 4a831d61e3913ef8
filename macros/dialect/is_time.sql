{#- Whether a field holds a time of the events' form, a real one, from 1970 on. -#}
{% macro is_time(field) %}
    {{- adapter.dispatch('is_time')(field) -}}
{% endmacro %}

{#- The cast alone would take other forms, the 24th hour and the 60th second. -#}
{% macro postgres__is_time(field) -%}
    jsonb_typeof(document->'{{ field }}') = 'string'
    and octet_length(document->>'{{ field }}') = 24
    and document->>'{{ field }}' >= '1970' collate "C"
    and case
        when pg_input_is_valid(document->>'{{ field }}', 'timestamptz')
            then {{ event_time_text(time_of(field)) }} = document->>'{{ field }}'
    end
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
    ^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z$
{%- endmacro %}
