{#- Return a time in the form that events have, ISO 8601 in UTC with milliseconds: for
    example 2025-06-01T12:00:00.000Z. -#}
{% macro event_time_text(column) %}
    {{- adapter.dispatch('event_time_text')(column) -}}
{% endmacro %}

{% macro default__event_time_text(column) -%}
    to_char({{ column }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
{%- endmacro %}

{% macro risingwave__event_time_text(column) -%}
    to_char({{ column }}, 'YYYY-MM-DDTHH24:MI:SS.MSZ')
{%- endmacro %}
