{#- Whether the message's key is the text of that field. -#}
{% macro key_is(field) %}
    {{- adapter.dispatch('key_is')(field) -}}
{% endmacro %}

{% macro postgres__key_is(field) -%}
    event_key = convert_to(document->>'{{ field }}', 'UTF8')
{%- endmacro %}

{% macro materialize__key_is(field) -%}
    {{ text_if_utf8('event_key') }} = document->>'{{ field }}'
{%- endmacro %}

{% macro risingwave__key_is(field) -%}
    convert_from(event_key, 'utf8') = document->>'{{ field }}'
{%- endmacro %}
