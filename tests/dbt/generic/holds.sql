{#- A condition is true of every row; a null is not true. -#}
{% test holds(model, condition) %}
    select * from {{ model }}
    where ({{ condition }}) is not true
{% endtest %}
