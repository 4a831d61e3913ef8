{#- Select the successful checkouts per minute and customer's gender, among the
    checkouts that the condition selects. -#}
{% macro minute_genders(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            gender,
            count(*) as checkouts
        from {{ checkouts }}
        where payment_status = 'success' and {{ condition }}
        group by {{ minute_of('purchase_time') }}, gender
{% endmacro %}
