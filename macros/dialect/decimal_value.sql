{#- A field that holds a JSON number of at most `places` digits after the point. -#}
{% macro decimal_value(field, places=6) %}
    {{- adapter.dispatch('decimal_value')(field, places) -}}
{% endmacro %}

{% macro postgres__decimal_value(field, places) -%}
    {%- set value = "(document->'" ~ field ~ "')::numeric" -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            and scale(trim_scale({{ value }})) <= {{ places }}
            then {{ value }}
    end
{%- endmacro %}

{% macro materialize__decimal_value(field, places) -%}
    {%- set value = "(document->'" ~ field ~ "')::numeric" -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            then case when round({{ value }}, {{ places }}) = {{ value }} then {{ value }} end
    end
{%- endmacro %}

{#- Its text of a number has an exponent within the bounds of any field only where the
    number is a single digit in the sixth place: 1e-6, but 0.000012. -#}
{% macro risingwave__decimal_value(field, places) -%}
    {%- set pattern = '[0-9]{1,15}([.]0)?' if places == 0
        else '([0-9]{1,15}([.][0-9]{1,' ~ places ~ '})?|[1-9]e-6)' -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            and document->>'{{ field }}' ~ '^-?{{ pattern }}$'
            then (document->>'{{ field }}')::numeric
    end
{%- endmacro %}
