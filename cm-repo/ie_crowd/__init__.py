"""What the crowd shares: assembles, reads, validates and verifies the results of a challenge described in YAML."""
