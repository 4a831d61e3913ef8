{#- RisingWave: set how often the engine takes a snapshot of all results, which is what
    readers see (FIRSTCLICK_BARRIER_INTERVAL_MS, in milliseconds), and how many of these
    intervals pass until it stores one (FIRSTCLICK_CHECKPOINT_FREQUENCY). Both apply to
    the whole cluster, and stay if you unset the variables. -#}
{% macro set_barriers() %}
    {% for name in ['barrier_interval_ms', 'checkpoint_frequency'] %}
        {% set variable = 'FIRSTCLICK_' ~ name | upper %}
        {% set value = env_var(variable, '') %}
        {% if value and not modules.re.fullmatch('[1-9][0-9]{0,5}', value) %}
            {% do exceptions.raise_compiler_error(
                variable ~ ' is ' ~ value ~ ', expected a whole number from 1 to 999999: '
                ~ 'correct it or unset it'
            ) %}
        {% elif value %}
            {% do run_query('alter system set ' ~ name ~ ' = ' ~ value) %}
        {% endif %}
    {% endfor %}
{% endmacro %}
