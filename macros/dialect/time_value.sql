{#- Return a field's value as a timestamp with time zone if it looks like an event's
    time, for example 2025-06-01T12:00:00.000Z. The result may be another time than the
    field says, so compare event_time_text() of it with the field, as field_kinds()
    does. -#}
{% macro time_value(field) %}
    {{- adapter.dispatch('time_value')(field) -}}
{% endmacro %}

{#- PostgreSQL accepts other forms as well, and hour 24 and second 60. -#}
{% macro default__time_value(field) -%}
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
