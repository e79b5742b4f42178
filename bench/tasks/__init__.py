"""What a task is: episodes, the data module that draws them, objectives, evaluation."""
