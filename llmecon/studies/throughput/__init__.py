"""What sets the pace of a served model: the study of the chapter on throughput."""
