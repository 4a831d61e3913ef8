{{ relation_sizes() }}
