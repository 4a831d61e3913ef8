{#- End a CTE whose expressions the next steps use more than once. PostgreSQL would
    inline the CTE and compute an expression again for every use; the streaming engines
    compute it once. `as materialized` would help as well, but takes a fifth more
    time. -#}
{% macro optimization_fence() %}
    {{- adapter.dispatch('optimization_fence')() -}}
{% endmacro %}

{% macro default__optimization_fence() -%} offset 0 {%- endmacro %}

{% macro materialize__optimization_fence() -%}{%- endmacro %}

{% macro risingwave__optimization_fence() -%}{%- endmacro %}
