{#- Select the successful checkouts, their revenue and their profit per minute, among
    the checkouts that the condition selects. -#}
{% macro minute_revenue(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            count(*) as checkouts,
            sum(quantity)::bigint as units,
            sum(total_cost) as revenue,
            sum(profit) as profit,
            count(click_id) as attributed_checkouts,
            coalesce(sum(total_cost) filter (where click_id is not null), 0)
                as attributed_revenue,
            coalesce(sum(profit) filter (where click_id is not null), 0)
                as attributed_profit
        from {{ checkouts }}
        where payment_status = 'success' and {{ condition }}
        group by {{ minute_of('purchase_time') }}
{% endmacro %}
