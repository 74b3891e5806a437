program a
end program
