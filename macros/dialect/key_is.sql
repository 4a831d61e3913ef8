{#- Return whether the message's key, `event_key`, is the text of a column. -#}
{% macro key_is(column) %}
    {{- adapter.dispatch('key_is')(column) -}}
{% endmacro %}

{% macro default__key_is(column) -%}
    event_key = convert_to({{ column }}, 'UTF8')
{%- endmacro %}

{% macro materialize__key_is(column) -%}
    {{ text_if_utf8('event_key') }} = {{ column }}
{%- endmacro %}

{% macro risingwave__key_is(column) -%}
    convert_from(event_key, 'utf8') = {{ column }}
{%- endmacro %}
