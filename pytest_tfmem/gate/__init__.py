"""Better or worse: which changes of a series are more than noise, and with what chance of a false alarm."""
