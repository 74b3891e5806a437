#!/usr/bin/perl
print 1;
