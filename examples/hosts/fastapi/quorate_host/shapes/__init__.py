"""What do requests and answers look like?"""
