{#- Select the failed checkouts per minute and reason, among the checkouts that the
    condition selects. -#}
{% macro minute_payment_failures(checkouts, condition='true') %}
        select
            {{ minute_of('purchase_time') }} as minute,
            failure_reason,
            count(*) as checkouts
        from {{ checkouts }}
        where payment_status = 'failure' and {{ condition }}
        group by {{ minute_of('purchase_time') }}, failure_reason
{% endmacro %}
