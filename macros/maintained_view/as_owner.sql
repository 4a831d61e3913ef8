{#- How a function works for those who may not do it themselves: with its owner's
    privileges, and with no names but PostgreSQL's own and those that are qualified. -#}
{% macro as_owner() -%}
    security definer set search_path = pg_catalog, pg_temp
{%- endmacro %}


{#- Keeps others from calling such a function, or having a trigger of their own do so.
    The triggers that are there fire for everybody. -#}
{% macro for_the_owner(function) -%}
    revoke execute on function {{ function }} from public
{%- endmacro %}
