{#- Select the successful checkouts with a first click per minute and click source,
    among the checkouts that the condition selects: all of them for `minute_sources`,
    those of the last hour or of its edges for `last_hour_sources`. -#}
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
