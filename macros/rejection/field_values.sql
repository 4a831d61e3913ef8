{#- Return a select list with one column per field of a message: the field's value, or
    null if the value has another kind than the field should have. The query must have a
    column `document`, the payload as JSON.

    fields: {field: kind}, for example {'click_id': 'text', 'click_time': 'time'}; the
    kinds are in field_kinds.sql. -#}
{% macro field_values(fields) %}
    {%- for field, kind in fields.items() %}
    {{ field_kinds(field)[kind].value | indent(4) }} as {{ field }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
