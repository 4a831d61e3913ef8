{{ first_clicks(ref('stg_purchases'), ref('stg_clicks')) }}
