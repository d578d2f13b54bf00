"""Read and write file formats, strictly and within limits. Nothing here knows of challenges or results.

strict              parse JSON and YAML that may come from anyone; write by rename
canonical_json      RFC 8785 canonical JSON and the identity (SHA-256) of a document
fast_json           the same by orjson where that gives the same answer
scratch             temporary folders and names of files, swept after a kill
schema              validate against result.schema.json
schema_docs         the schema as a page for people
upgrade             read a result of any schema version
checksums           SHA-256 of files, SHA256SUMS
png                 check PNG files and strip their metadata
safetensors_header  the header of a weights file, before any program loads it
metrics_jsonl       learning history of a run
humanize            numbers as people read them
moments             times that others state: of the calendar, and possible
ssh                 SSH keys and signatures
usernames           names that are refused, and confusables (look-alike names)
gc_pause            run the garbage collector rarely during bulk loads
"""
