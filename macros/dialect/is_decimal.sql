{#- Whether a field holds a JSON number of at most `places` digits after the point,
    for which the condition holds; the condition says `value`. -#}
{% macro is_decimal(field, condition, places=6) %}
    {{- adapter.dispatch('is_decimal')(field, condition, places) -}}
{% endmacro %}

{% macro postgres__is_decimal(field, condition, places) -%}
    {%- set value = "(document->'" ~ field ~ "')::numeric" -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            then {{ condition.replace('value', value) }}
            and scale(trim_scale({{ value }})) <= {{ places }}
    end
{%- endmacro %}

{% macro materialize__is_decimal(field, condition, places) -%}
    {%- set value = "(document->'" ~ field ~ "')::numeric" -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            then {{ condition.replace('value', value) }}
            and round({{ value }}, {{ places }}) = {{ value }}
    end
{%- endmacro %}

{#- Its text of a number has an exponent within these bounds only where the number is a
    single digit in the sixth place: 1e-6, but 0.000012. -#}
{% macro risingwave__is_decimal(field, condition, places) -%}
    {%- set value = "(document->>'" ~ field ~ "')::numeric" -%}
    {%- set pattern = '[0-9]{1,15}([.]0)?' if places == 0
        else '([0-9]{1,15}([.][0-9]{1,' ~ places ~ '})?|[1-9]e-6)' -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            and document->>'{{ field }}' ~ '^-?{{ pattern }}$'
            then {{ condition.replace('value', value) }}
        else false
    end
{%- endmacro %}
