{#- A field that is_time() holds of, as a timestamp with time zone. -#}
{% macro time_of(field) %}
    {{- adapter.dispatch('time_of')(field) -}}
{% endmacro %}

{% macro default__time_of(field) -%}
    (document->>'{{ field }}')::timestamptz
{%- endmacro %}

{% macro materialize__time_of(field) -%}
    try_parse_monotonic_iso8601_timestamp(document->>'{{ field }}') at time zone 'UTC'
{%- endmacro %}
