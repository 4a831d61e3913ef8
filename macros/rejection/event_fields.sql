{#- The fields of a topic's events and their kinds (field_kinds), in the order in which a
    message is rejected for them. The first is the event's id. -#}
{% macro event_fields(topic) %}
    {{ return({
        'clicks': {
            'click_id': 'text',
            'user_id': 'text',
            'click_time': 'time',
            'click_at': 'text',
            'source': 'text',
            'ip': 'text',
        },
        'purchases': {
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
        },
    }[topic]) }}
{% endmacro %}
