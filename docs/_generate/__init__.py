"""Write the parts of the reference that the code knows, and build the site.

The pages in ``docs/reference`` call the functions of ``tables`` in comments that
`cog <https://cog.readthedocs.io>`_ runs. ``scripts/docs`` writes them again.
"""
