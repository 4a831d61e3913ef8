{#- What the materializations have in common: hooks, one transaction, grants. With the
    variable `single_transaction` that is left to deploy_in_single_transaction(). -#}
{% macro maintained_materialization(kind) %}
    {% set target_relation = this.incorporate(
        type='view' if kind == 'view' else 'table') %}
    {% set parents = [] %}
    {% for id in model.depends_on.nodes %}
        {% do parents.append((graph.nodes.get(id) or graph.sources.get(id)).relation_name) %}
    {% endfor %}
    {% set definition = {
        'relation': target_relation.render(),
        'kind': kind,
        'sql': sql,
        'parents': parents,
        'config': {
            'unique_key': maintained_list(config.get('unique_key') or []),
            'count': config.get('count', ''),
            'lookup_keys': config.get('lookup_keys', {}),
            'affects_when': config.get('affects_when', {}),
            'indexes': config.get('indexed_on', []),
        },
    } %}
    {% if var('single_transaction', false) %}
        {% do definition.update({'refresh': should_full_refresh()}) %}
        {{ return(defer(definition)) }}
    {% endif %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do begin_maintenance() %}
    {% do run_query("set local lock_timeout = '30s'") %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if config.get('contract').enforced %}
        {% do get_assert_columns_equivalent(sql) %}
    {% endif %}
    {#- A view has no rows, and its readers are refreshed in their turn. -#}
    {% set outcome = deploy_model(definition, kind != 'view' and should_full_refresh()) %}
    {% call noop_statement('main', outcome) %}{{ sql }}{% endcall %}

    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}
