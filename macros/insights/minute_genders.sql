{#- Checkouts of each customer gender by minute, over the checkouts that a condition
    selects. -#}
{% macro minute_genders(checkouts, condition='true') %}
        select
            date_trunc('minute', purchase_time) as minute,
            gender,
            count(*) as checkouts
        from {{ checkouts }}
        where payment_status = 'success' and {{ condition }}
        group by date_trunc('minute', purchase_time), gender
{% endmacro %}
