"""What a peer keeps on its disk: the chunks of others and the catalog of its own files. Its calls block."""
