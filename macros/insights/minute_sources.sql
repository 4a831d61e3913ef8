{#- Checkouts of each click source by minute, over the checkouts that a condition
    selects: `minute_sources`, and the last hour's minutes. -#}
{% macro minute_sources(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            source,
            source <> 'Unknown' as is_advertisement,
            count(*) as checkouts,
            sum(total_cost) as revenue,
            sum(profit) as profit
        from {{ checkouts }}
        where payment_status = 'success' and click_id is not null and {{ condition }}
        group by {{ minute_of('purchase_time') }}, source
{% endmacro %}
