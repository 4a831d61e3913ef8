{#- Checkouts of each customer gender by minute, over the checkouts that a condition
    selects. -#}
{% macro minute_genders(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            gender,
            count(*) as checkouts
        from {{ checkouts }}
        where payment_status = 'success' and {{ condition }}
        group by {{ minute_of('purchase_time') }}, gender
{% endmacro %}
