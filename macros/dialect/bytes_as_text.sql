{#- Return a key or a payload as text, or in hexadecimal if it isn't UTF-8 or contains a
    zero byte, which not every engine's texts can hold. -#}
{% macro bytes_as_text(column) %}
    {{- adapter.dispatch('bytes_as_text')(column) -}}
{% endmacro %}

{% macro default__bytes_as_text(column) -%}
    coalesce({{ maintenance_schema() }}.utf8({{ column }}), encode({{ column }}, 'hex'))
{%- endmacro %}

{% macro materialize__bytes_as_text(column) -%}
    coalesce({{ text_if_utf8(column) }}, encode({{ column }}, 'hex'))
{%- endmacro %}

{% macro risingwave__bytes_as_text(column) -%}
    case
        when strpos(convert_from({{ column }}, 'utf8'), chr(0)) = 0
            then convert_from({{ column }}, 'utf8')
        else encode({{ column }}, 'hex')
    end
{%- endmacro %}
