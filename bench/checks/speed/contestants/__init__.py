"""Ways to compute a meta-iteration: one file each, whose name is its name in the tables.

A contestant is a module with ``ORDERS``, ``package`` (what must be installed), where
needed ``WORKLOADS`` (others are left out) and ``IMPORTS`` (loaded before memory is counted), and
``build(workload, order, dtype)``, which returns two functions: ``gradient``, the meta-gradient by
the names of the weights as numpy arrays, and ``iteration``, one meta-iteration with Adam. It
imports its library inside ``build``, and nothing that another environment may lack.
"""
