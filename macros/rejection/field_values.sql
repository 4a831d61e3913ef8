{#- A column for each field of a message: its value, null where it is not of its kind.
    Reads document.

    fields: {field: kind} -#}
{% macro field_values(fields) %}
    {%- for field, kind in fields.items() %}
    {{ field_kinds(field)[kind].value | indent(4) }} as {{ field }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
