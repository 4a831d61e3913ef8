{#- A field that is_decimal() holds of, as a numeric. -#}
{% macro decimal_of(field) %}
    {{- adapter.dispatch('decimal_of')(field) -}}
{% endmacro %}

{% macro postgres__decimal_of(field) -%}
    (document->'{{ field }}')::numeric
{%- endmacro %}

{% macro risingwave__decimal_of(field) -%}
    (document->>'{{ field }}')::numeric
{%- endmacro %}
