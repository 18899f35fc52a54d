"""Components that outlive the request which starts them: scheduler, worker, flower and their like."""
