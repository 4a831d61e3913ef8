with messages as (
    {{ latest_messages(ref('raw_purchases')) }}
    {{ computed_once() }}
),

checked as (
    select
        *,
        {{ rejection_reason(time='purchase_time', fields={
            'purchase_id': 'text',
            'user_id': 'text',
            'product_id': 'text',
            'quantity': 'quantity',
            'discount': 'discount',
            'shipping_cost': 'shipping_cost',
            'total_cost': 'total_cost',
            'payment_method': 'text',
            'payment_status': 'payment_status',
            'description': 'text',
            'purchase_time': 'time',
        }) | indent(8) }} as reason
    from messages
    {{ computed_once() }}
)

select
    {{ text_of('event_key') }} as event_key,
    {{ text_of('payload') }} as payload,
    reason,
    case when reason is null then document ->> 'purchase_id' end as purchase_id,
    case when reason is null then document ->> 'user_id' end as user_id,
    case when reason is null then document ->> 'product_id' end as product_id,
    case when reason is null then document ->> 'payment_method' end as payment_method,
    case when reason is null then document ->> 'payment_status' end as payment_status,
    case
        when reason is null and document ->> 'payment_status' = 'failure'
            then document ->> 'description'
    end as failure_reason,
    case
        when reason is null then {{ decimal_of('quantity') }}::bigint
    end as quantity,
    case when reason is null then {{ decimal_of('discount') }} end as discount,
    case
        when reason is null then {{ decimal_of('shipping_cost') }}
    end as shipping_cost,
    case
        when reason is null then {{ decimal_of('total_cost') }}
    end as claimed_total_cost,
    kafka_partition,
    kafka_offset,
    kafka_time,
    case
        when reason is null then {{ time_of('purchase_time') }}
    end as purchase_time
from checked
