{#- A field that holds a time of the events' form as a timestamp with time zone. Of what
    looks like one it may be another: a real one is what event_time_text() writes alike. -#}
{% macro time_value(field) %}
    {{- adapter.dispatch('time_value')(field) -}}
{% endmacro %}

{#- It takes other forms as well, the 24th hour and the 60th second. -#}
{% macro postgres__time_value(field) -%}
    json_value(document, '$.{{ field }}' returning timestamptz null on error)
{%- endmacro %}

{% macro materialize__time_value(field) -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'string'
            and document->>'{{ field }}' ~ '{{ time_pattern() }}'
            then try_parse_monotonic_iso8601_timestamp(document->>'{{ field }}')
                at time zone 'UTC'
    end
{%- endmacro %}

{% macro risingwave__time_value(field) -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'string'
            and document->>'{{ field }}' ~ '{{ time_pattern() }}'
            then (document->>'{{ field }}')::timestamptz
    end
{%- endmacro %}

{% macro time_pattern() -%}
    ^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z$
{%- endmacro %}
