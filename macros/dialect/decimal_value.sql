{#- Return a field's value if it is a JSON number with at most `places` digits after the
    point, otherwise null. Zeros at the end don't count: with places=0, 2.0 is
    valid. -#}
{% macro decimal_value(field, places=6) %}
    {{- adapter.dispatch('decimal_value')(field, places) -}}
{% endmacro %}

{% macro default__decimal_value(field, places) -%}
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

{#- RisingWave writes some numbers with an exponent. Within the bounds of all fields, it
    only does so for a single digit in the sixth place: 0.000001 becomes 1e-6, but
    0.000012 stays. -#}
{% macro risingwave__decimal_value(field, places) -%}
    {%- set pattern = '[0-9]{1,15}([.]0)?' if places == 0
        else '([0-9]{1,15}([.][0-9]{1,' ~ places ~ '})?|[1-9]e-6)' -%}
    case
        when jsonb_typeof(document->'{{ field }}') = 'number'
            and document->>'{{ field }}' ~ '^-?{{ pattern }}$'
            then (document->>'{{ field }}')::numeric
    end
{%- endmacro %}
