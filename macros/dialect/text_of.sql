{#- A key or a payload as text; in hexadecimal where it is not UTF-8 or holds a zero
    byte, of which not every engine's texts hold any. -#}
{% macro text_of(column) %}
    {{- adapter.dispatch('text_of')(column) -}}
{% endmacro %}

{% macro postgres__text_of(column) -%}
    coalesce({{ maintenance_schema() }}.utf8({{ column }}), encode({{ column }}, 'hex'))
{%- endmacro %}

{% macro materialize__text_of(column) -%}
    coalesce({{ text_if_utf8(column) }}, encode({{ column }}, 'hex'))
{%- endmacro %}

{% macro risingwave__text_of(column) -%}
    case
        when strpos(convert_from({{ column }}, 'utf8'), chr(0)) = 0
            then convert_from({{ column }}, 'utf8')
        else encode({{ column }}, 'hex')
    end
{%- endmacro %}
