{% set fields = event_fields('purchases') %}

with messages as (
    {{ latest_messages(ref('raw_purchases')) }}
    {{ optimization_fence() }}
),

valued as (
    select
        *,
        {{ field_values(fields) | indent(4) }}
    from messages
    {{ optimization_fence() }}
),

checked as (
    select
        *,
        {{
            rejection_reason(fields, time='purchase_time', is_indexed=true) | indent(8)
        }} as reason
    from valued
    {{ optimization_fence() }}
)

select
    {{ bytes_as_text('event_key') }} as event_key,
    {{ bytes_as_text('payload') }} as payload,
    event_key as message_key,
    payload as message_value,
    reason,
    case when reason is null then purchase_id end as purchase_id,
    case when reason is null then user_id end as user_id,
    case when reason is null then product_id end as product_id,
    case when reason is null then payment_method end as payment_method,
    case when reason is null then payment_status end as payment_status,
    case
        when reason is null and payment_status = 'failure' then description
    end as failure_reason,
    case when reason is null then quantity::bigint end as quantity,
    case when reason is null then discount end as discount,
    case when reason is null then shipping_cost end as shipping_cost,
    case when reason is null then total_cost end as claimed_total_cost,
    kafka_partition,
    kafka_offset,
    kafka_time,
    case when reason is null then purchase_time end as purchase_time
from checked
