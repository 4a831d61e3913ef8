{#- Select the successful checkouts per minute and product category, among the checkouts
    that the condition selects. -#}
{% macro minute_categories(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            category,
            count(*) as checkouts,
            sum(quantity)::bigint as units,
            sum(total_cost) as revenue
        from {{ checkouts }}
        where payment_status = 'success' and {{ condition }}
        group by {{ minute_of('purchase_time') }}, category
{% endmacro %}
