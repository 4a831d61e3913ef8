{#- A condition is true of every row. Null counts as not true. -#}
{% test expression_is_true(model, expression) %}
    select * from {{ model }}
    where ({{ expression }}) is not true
{% endtest %}
