//! The words of the domain: ids, resources, specs, instances, nodes. Data and its rules, no behaviour over time.
