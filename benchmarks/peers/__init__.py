"""The workloads in each framework, as a user of it would write them: ``build(workload)`` gives a Subject."""
