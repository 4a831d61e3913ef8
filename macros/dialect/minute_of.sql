{#- The start of the minute that a time is in. -#}
{% macro minute_of(time) %}
    {{- adapter.dispatch('minute_of')(time) -}}
{% endmacro %}

{#- Looks up no time zone, as date_trunc() does for every row: a third of the time. -#}
{% macro postgres__minute_of(time) -%}
    date_bin('1 minute', {{ time }}, 'epoch')
{%- endmacro %}

{% macro materialize__minute_of(time) -%}
    date_trunc('minute', {{ time }})
{%- endmacro %}

{% macro risingwave__minute_of(time) -%}
    {{ materialize__minute_of(time) }}
{%- endmacro %}
