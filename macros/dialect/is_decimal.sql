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

{#- Its text of a number has no exponent within these bounds. -#}
{% macro risingwave__is_decimal(field, condition, places) -%}
    {%- set value = "(document->>'" ~ field ~ "')::numeric" -%}
    {%- set fraction = '([.]0)?' if places == 0 else '([.][0-9]{1,' ~ places ~ '})?' -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            and document->>'{{ field }}' ~ '^-?[0-9]{1,15}{{ fraction }}$'
            then {{ condition.replace('value', value) }}
        else false
    end
{%- endmacro %}
