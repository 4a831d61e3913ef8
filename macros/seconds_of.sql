{#- Return the number of seconds in a variable of the project that holds a duration: `10
    minutes`, `36 hours` or `30 days`. An interval of days would depend on the session's
    time zone: where there is daylight saving time, a day can have 23 or 25 hours. -#}
{% macro seconds_of(variable) %}
    {%- set text = var(variable) | string -%}
    {%- set parts = modules.re.fullmatch('([1-9][0-9]{0,9}) (second|minute|hour|day)s?', text) -%}
    {%- set unit = {'second': 1, 'minute': 60, 'hour': 3600, 'day': 86400} -%}
    {%- set seconds = parts.group(1) | int * unit[parts.group(2)] if parts else 0 -%}
    {%- if not 0 < seconds <= 36500 * 86400 -%}
        {%- do exceptions.raise_compiler_error(
            "the variable " ~ variable ~ " is '" ~ text ~ "', expected a whole number of"
            ~ " seconds, minutes, hours or days, of at most 36500 days, as in"
            ~ " '10 minutes', '36 hours' or '30 days'"
        ) -%}
    {%- endif -%}
    {{- return(seconds) -}}
{% endmacro %}
